// Nodenet is the cluster's network: each node gets a point-to-point link for every pod, a route to every
// other node's pods, one masquerading rule for what leaves the cluster, and rules that let nothing leave
// that is meant for a Service.
//
// It is level-triggered: every node event and every period it compares what the node has with what the API
// says and changes the difference, so the routes come back after a node was stopped, also under a new address.
// Pods are routed, not bridged: a bridge would let the answer of a Service's pod on the same node pass below
// the connection tracking that has to translate it back where the kernel has no br_netfilter.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

const forwarding = "/proc/sys/net/ipv4/ip_forward"

type agent struct {
	node    string
	cluster *net.IPNet
	service *net.IPNet
	confDir string
}

func main() {
	node := flag.String("node", os.Getenv("NODE_NAME"), "name of this node")
	cluster := flag.String("cluster-cidr", "10.244.0.0/16", "addresses of all pods")
	service := flag.String("service-cidr", "10.96.0.0/16", "addresses of all Services")
	confDir := flag.String("cni-conf-dir", "/etc/cni/net.d", "where the CNI configuration is written")
	period := flag.Duration("period", 10*time.Second, "how often the node is compared without an event")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, *node, *cluster, *service, *confDir, *period); err != nil {
		klog.ErrorS(err, "nodenet ends")
		os.Exit(1)
	}
}

func run(ctx context.Context, node, cluster, service, confDir string, period time.Duration) error {
	_, clusterNet, err := net.ParseCIDR(cluster)
	if err != nil {
		return err
	}
	_, serviceNet, err := net.ParseCIDR(service)
	if err != nil {
		return err
	}
	config, err := rest.InClusterConfig()
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	wake := make(chan struct{}, 1)
	notify := func() {
		select {
		case wake <- struct{}{}:
		default:
		}
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	nodes := factory.Core().V1().Nodes()
	if _, err := nodes.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { notify() },
		UpdateFunc: func(any, any) { notify() },
		DeleteFunc: func(any) { notify() },
	}); err != nil {
		return err
	}
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), nodes.Informer().HasSynced) {
		return errors.New("the node cache did not fill")
	}
	a := agent{node: node, cluster: clusterNet, service: serviceNet, confDir: confDir}
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	for {
		all, err := nodes.Lister().List(labels.Everything())
		if err == nil {
			err = a.sync(all)
		}
		if err != nil {
			klog.ErrorS(err, "sync failed, again at the next event or period")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-wake:
		case <-ticker.C:
		}
	}
}

// sync makes this node's configuration, routes and rule what the nodes' objects say.
func (a agent) sync(nodes []*corev1.Node) error {
	var own *net.IPNet
	wanted := map[string]*netlink.Route{}
	for _, node := range nodes {
		_, pods, err := net.ParseCIDR(node.Spec.PodCIDR)
		if err != nil {
			continue // not assigned yet: the update that assigns it wakes us
		}
		if node.Name == a.node {
			own = pods
		} else if gateway := internalIP(node); gateway != nil {
			wanted[pods.String()] = &netlink.Route{Dst: pods, Gw: gateway}
		}
	}
	if own == nil {
		return fmt.Errorf("node %s has no pod network yet", a.node)
	}
	if err := os.WriteFile(forwarding, []byte("1"), 0o644); err != nil {
		return err
	}
	return errors.Join(a.masquerade(own), a.keepIn(), a.routes(wanted), a.configure(own))
}

func internalIP(node *corev1.Node) net.IP {
	for _, address := range node.Status.Addresses {
		if address.Type == corev1.NodeInternalIP {
			return net.ParseIP(address.Address)
		}
	}
	return nil
}

// routes adds and moves the routes that are wanted and removes those to nodes that are gone.
func (a agent) routes(wanted map[string]*netlink.Route) error {
	present, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return err
	}
	var failed error
	for _, route := range present {
		if route.Dst == nil || route.Gw == nil || !a.cluster.Contains(route.Dst.IP) {
			continue
		}
		want, ok := wanted[route.Dst.String()]
		if ok && want.Gw.Equal(route.Gw) {
			delete(wanted, route.Dst.String())
		} else if !ok {
			klog.InfoS("route removed", "destination", route.Dst, "gateway", route.Gw)
			failed = errors.Join(failed, netlink.RouteDel(&route))
		}
	}
	for _, route := range wanted {
		klog.InfoS("route set", "destination", route.Dst, "gateway", route.Gw)
		failed = errors.Join(failed, netlink.RouteReplace(route))
	}
	return failed
}

// masquerade lets pods reach what is outside the cluster under the node's address.
func (a agent) masquerade(pods *net.IPNet) error {
	return ensure("nat", "POSTROUTING", "-s", pods.String(), "!", "-d", a.cluster.String(), "-j", "MASQUERADE")
}

// keepIn refuses what still goes to a Service's address after kube-proxy had its turn: a Service that it does
// not know (yet). It would leave the cluster, and whoever answers there would be taken for the Service.
func (a agent) keepIn() error {
	return errors.Join(
		ensure("filter", "FORWARD", "-d", a.service.String(), "-j", "REJECT"),
		ensure("filter", "OUTPUT", "-d", a.service.String(), "-j", "REJECT"),
	)
}

// ensure puts a rule first into a chain where it is not there yet.
func ensure(table, chain string, rule ...string) error {
	if iptables(table, "-C", chain, rule) == nil {
		return nil
	}
	return iptables(table, "-I", chain, rule)
}

func iptables(table, action, chain string, rule []string) error {
	output, err := exec.Command("iptables", append([]string{"-w", "-t", table, action, chain}, rule...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("iptables %s: %w: %s", action, err, bytes.TrimSpace(output))
	}
	return nil
}

// configure writes the CNI configuration; the runtime takes the node for ready from then on.
func (a agent) configure(pods *net.IPNet) error {
	list, err := json.MarshalIndent(map[string]any{
		"cniVersion": "0.4.0",
		"name":       "nodenet",
		"plugins": []any{
			map[string]any{
				"type": "ptp",
				"ipam": map[string]any{
					"type":    "host-local",
					"dataDir": "/run/cni-ipam", // gone with the sandboxes when the node restarts
					"ranges":  [][]any{{map[string]string{"subnet": pods.String()}}},
					"routes":  []any{map[string]string{"dst": "0.0.0.0/0"}},
				},
			},
			map[string]any{"type": "portmap", "capabilities": map[string]bool{"portMappings": true}},
		},
	}, "", "  ")
	if err != nil {
		return err
	}
	target := filepath.Join(a.confDir, "10-nodenet.conflist")
	if present, err := os.ReadFile(target); err == nil && bytes.Equal(present, list) {
		return nil
	}
	if err := os.MkdirAll(a.confDir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(target+".new", list, 0o644); err != nil {
		return err
	}
	return os.Rename(target+".new", target)
}
