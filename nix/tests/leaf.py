start_all()

with subtest("the hub's units become active"):
    hub.wait_for_unit("nats.service")
    hub.wait_for_open_port(7422)
    hub.wait_for_unit("cim-registry.service")
    hub.wait_for_open_port(8484)

with subtest("the leaf joins under its own name"):
    leaf.wait_for_unit("nats.service")
    hub.wait_until_succeeds("curl -sf 127.0.0.1:8222/leafz | grep -q cim-leaf-001")

with subtest("the node-agent reports to systemd and is healthy"):
    leaf.wait_for_unit("cim-node-agent.service")
    leaf.wait_for_open_port(9090)
    leaf.wait_until_succeeds("curl -sf 127.0.0.1:9090/health/ready")
    leaf.succeed("curl -sf 127.0.0.1:9090/api/v1/domains/agent/health")

group = "/sys/fs/cgroup" + leaf.succeed("systemctl show -p ControlGroup --value cim-node-agent").strip()

with subtest("the control group of the unit is the node-agent's, and it sits in a subgroup of its own"):
    leaf.succeed(f"test $(stat -c %U {group}) = cim-agent", f"grep -q . {group}/daemon/cgroup.procs")

delegated = "cells can get groups of their own, with memory, cpu and pids"
if leaf.execute("grep -q memory /sys/fs/cgroup/cgroup.controllers")[0] == 0:
    with subtest(delegated):
        leaf.succeed(f"grep -q memory {group}/cgroup.subtree_control")
else:
    # A driver whose machines share a kernel that keeps these to itself knows this word; no other does.
    not_run(delegated, "no controllers for containers here")

with subtest("monitoring is for this machine alone"):
    leaf.succeed("curl -sf 127.0.0.1:8222/varz > /dev/null")
    hub.fail("curl -sf --max-time 5 http://leaf:8222/varz")

with subtest("the password is in no file everybody can read"):
    hub.fail("grep -r leaf-password-of-this-test /nix/store/*-nats.conf /etc/nats/nats.conf")

with subtest("the hub goes away and the leaf stays up, and joins again when it is back"):
    hub.systemctl("stop nats.service")
    leaf.succeed("curl -sf 127.0.0.1:9090/health/live")
    hub.systemctl("start nats.service")
    hub.wait_until_succeeds("curl -sf 127.0.0.1:8222/leafz | grep -q cim-leaf-001")

with subtest("a reload keeps the server's process"):
    before = leaf.succeed("systemctl show -p MainPID --value nats").strip()
    leaf.succeed("systemctl reload nats")
    after = leaf.succeed("systemctl show -p MainPID --value nats").strip()
    assert before == after, f"nats was restarted: {before} -> {after}"

with subtest("a hung node-agent is ended and started again by the watchdog"):
    before = leaf.succeed("systemctl show -p MainPID --value cim-node-agent").strip()
    leaf.succeed(f"kill -STOP {before}")
    leaf.wait_until_succeeds(
        f"test $(systemctl show -p MainPID --value cim-node-agent) != {before}", timeout=120
    )
    leaf.wait_for_unit("cim-node-agent.service")

with subtest("units are no more exposed than agreed"):
    # In tenths, by the table of systemd 257 and newer.
    for machine, unit in [(leaf, "cim-node-agent"), (leaf, "nats"), (hub, "cim-registry"), (hub, "nats")]:
        machine.succeed(f"systemd-analyze security --no-pager --threshold=25 {unit}.service")
