user root
runs libvirtd --version
runs virtlogd --version
runs virsh --version
runs qemu-system-x86_64 --version
runs qemu-img --version
runs ovs-vsctl --version
readable /usr/share/OVMF/OVMF_CODE_4M.fd
[ "$(compgen -c qemu-system- | grep -vc -E '^qemu-system-(amd64|i386|x86_64)')" = 0 ] || { echo "  emulators of other machines" >&2; exit 1; }
