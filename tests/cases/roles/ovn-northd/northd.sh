exec ovn-northd \
  --ovnnb-db=tcp:demo-ovn-nb-0.demo-ovn-nb.ns.svc.cluster.local:6641,tcp:demo-ovn-nb-1.demo-ovn-nb.ns.svc.cluster.local:6641,tcp:demo-ovn-nb-2.demo-ovn-nb.ns.svc.cluster.local:6641 \
  --ovnsb-db=tcp:demo-ovn-sb-0.demo-ovn-sb.ns.svc.cluster.local:6642,tcp:demo-ovn-sb-1.demo-ovn-sb.ns.svc.cluster.local:6642,tcp:demo-ovn-sb-2.demo-ovn-sb.ns.svc.cluster.local:6642 \
  --unixctl=/run/ovn/ovn-northd.ctl \
  -vconsole:info -vsyslog:off -vfile:off
