user root
runs libvirtd --version
runs virtlogd --version
runs virsh --version
runs qemu-system-x86_64 --version
runs qemu-img --version
runs ovs-vsctl --version
readable /usr/share/OVMF/OVMF_CODE_4M.fd
[ "$(compgen -c qemu-system- | grep -vc -E '^qemu-system-(amd64|i386|x86_64)')" = 0 ] || { echo "  emulators of other machines" >&2; exit 1; }
guest=/usr/share/stackroles/probe-guest
readable $guest/vmlinuz $guest/initrd
said=$(timeout 600 qemu-system-x86_64 -machine pc,accel=tcg -cpu qemu64 -m 128 -nodefaults -display none -no-reboot -serial stdio \
  -kernel $guest/vmlinuz -initrd $guest/initrd -append 'console=ttyS0 quiet panic=-1 no_timer_check' < /dev/null)
grep -o 'stackroles probe guest: running Linux.*' <<< "$said" || { echo "  the probe guest did not print its line: $said" >&2; exit 1; }
