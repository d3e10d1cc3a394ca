# Limits of memory and cpu, kept by the kernel: cells of a unit with delegated controllers. Few machines and few steps, so that it can be
# carried to its end on emulated ones; fleet.py has the same and all the rest.
import json

ID = "cim-leaf-001"
GROUP = "/sys/fs/cgroup/cim.slice/cim-node-agent.service"
ALCHEMIST = "CIM_PROFILE=/etc/cim/profile.json alchemist"


def ask(capability, payload):
    """One call on the leaf, as its node-agent's login: exit code, answer."""
    code, answer = leaf1.execute(f"bash /etc/cim-test/ask 127.0.0.1 '{login}' _INBOX cim.v1.call.{capability} '{payload}'")
    return code, answer.strip()


def count(file, key):
    """A number in one of the kernel's flat tables."""
    rows = (line.split() for line in leaf1.succeed(f"cat {file}").splitlines())
    return sum(int(row[1]) for row in rows if row[0] == key)


start_all()

with subtest("hub and leaf are up, and joined"):
    hub.wait_for_unit("cim-registry.service")
    hub.wait_for_open_port(8484)
    leaf1.wait_for_unit("cim-node-agent.service")
    leaf1.wait_for_open_port(9090)
    hub.wait_until_succeeds(f"curl -sf 127.0.0.1:8222/leafz | grep -q {ID}")

ended = "memory over its limit: the kernel ends that cell alone (memory.events)"
throttled = "more cpu than its share: the kernel throttles the cell (cpu.stat)"
weighed = "each cell has a group of its own, with the limits of its workload"

# Containers may share a kernel that keeps its controllers to itself; their driver has the word not_run, and no other has.
if leaf1.execute("grep -q memory /sys/fs/cgroup/cgroup.controllers")[0] != 0:
    for what in (weighed, ended, throttled):
        not_run(what, "no controllers for containers here")
else:
    with subtest("the controllers are delegated, and the node says that the kernel keeps its limits"):
        leaf1.succeed(f"grep -q memory {GROUP}/cgroup.subtree_control", f"grep -q cpu {GROUP}/cgroup.subtree_control")
        assert json.loads(leaf1.succeed("curl -s 127.0.0.1:9090/health"))["limits"] == "cgroup"

    with subtest("an operator deploys"):
        hub.wait_until_succeeds(f"{ALCHEMIST} deploy /etc/cim-test/stress --instance {ID} --timeout 10m --isolation dedicated 2>&1")

    login = "cim-node-agent:" + leaf1.succeed("cat /var/lib/cim-secrets/nats-cim-node-agent").strip()
    daemon = leaf1.succeed("systemctl show -p MainPID --value cim-node-agent").strip()
    leaf1.wait_until_succeeds(f"bash /etc/cim-test/ask 127.0.0.1 '{login}' _INBOX cim.v1.call.stress.who null")

    with subtest(weighed):
        own = leaf1.succeed(f"grep -l '^25000 ' {GROUP}/cell-*/cpu.max").split()
        assert len(own) == 1, own
        cell = own[0].rsplit("/", 1)[0]
        assert leaf1.succeed(f"cat {cell}/memory.max").strip().isdigit(), "no memory.max"
        assert leaf1.succeed(f"cat {cell}/memory.swap.max").strip() == "0", "the cell may swap"
        assert leaf1.succeed(f"cat {cell}/pids.max").strip().isdigit(), "no pids.max"
        # Whoever has been calm for a while is level with the daemon; a spare, which nobody knows yet, is behind.
        leaf1.wait_until_succeeds(f"grep -qx 0 {cell}/cpu.idle && grep -qx 100 {cell}/cpu.weight")
        leaf1.wait_until_succeeds(f"grep -lx 1 {GROUP}/cell-*/cpu.idle")
        assert leaf1.succeed(f"cat {GROUP}/daemon/cpu.weight").strip() == "1000", "the daemon does not go ahead of its cells"

    with subtest(throttled):
        before = count(f"{cell}/cpu.stat", "nr_throttled")
        ask("stress.spin", "3000")
        after = count(f"{cell}/cpu.stat", "nr_throttled")
        assert after - before >= 3, f"nr_throttled {before} -> {after}"

    with subtest("memory over its limit: the call ends with a fault, and the agent answers again"):
        code, said = ask("stress.memory", "400")
        assert code == 4, f"400 MiB were given: {said}"
        leaf1.wait_until_succeeds(f"bash /etc/cim-test/ask 127.0.0.1 '{login}' _INBOX cim.v1.call.stress.who null")

    with subtest(ended):
        # The isolate's own count ends honest excess first; what it cannot count, as of code that broke out of it, is the kernel's to end.
        # The limit is brought to the cell here and not the cell to its limit: an emulated processor takes minutes to fill memory.
        cell = leaf1.succeed(f"grep -l '^25000 ' {GROUP}/cell-*/cpu.max").split()[0].rsplit("/", 1)[0]
        before = count(f"{GROUP}/memory.events", "oom_kill")
        leaf1.execute(f"echo 8388608 > {cell}/memory.max")
        leaf1.wait_until_succeeds(f"! grep -q . {cell}/cgroup.procs", timeout=60)
        after = count(f"{GROUP}/memory.events", "oom_kill")
        assert after > before, f"the kernel ended nothing: oom_kill {before} -> {after}"
        leaf1.wait_until_succeeds(f"bash /etc/cim-test/ask 127.0.0.1 '{login}' _INBOX cim.v1.call.stress.who null")
        assert leaf1.succeed("systemctl show -p MainPID --value cim-node-agent").strip() == daemon, "the node-agent was restarted"
