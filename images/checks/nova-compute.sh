user nova
runs nova-compute --version
runs qemu-img --version
runs python3 -c 'import libvirt, os_vif, vif_plug_ovs; print(libvirt.getVersion())'
readable /usr/bin/nova-rootwrap /etc/nova/nova.conf /etc/nova/rootwrap.conf /etc/nova/rootwrap.d/compute.filters
