machine.wait_for_unit("nats.service")
machine.wait_for_unit("cim-node-agent.service")
machine.wait_for_open_port(9090)

with subtest("it runs with its hub away"):
    machine.wait_until_succeeds("curl -s 127.0.0.1:9090/health | grep -q hub-unreachable")

with subtest("the tuning of the guide is in force"):
    machine.succeed("curl -sf 127.0.0.1:8222/varz | grep -q '\"max_payload\": *8388608'")

with subtest("passwords are made once, for root alone"):
    machine.succeed("test $(stat -c %a:%U /var/lib/cim-secrets/nats-cim-agent) = 600:root")
    before = machine.succeed("cat /var/lib/cim-secrets/nats-cim-agent")
    machine.succeed("systemctl restart cim-secrets nats")
    machine.wait_for_open_port(4222)
    assert machine.succeed("cat /var/lib/cim-secrets/nats-cim-agent") == before

with subtest("nobody gets in without a password"):
    machine.fail(
        "printf 'CONNECT {\"user\":\"cim-agent\",\"pass\":\"\",\"verbose\":true}\\r\\nPING\\r\\n' "
        "| timeout 5 bash -c 'exec 3<>/dev/tcp/127.0.0.1/4222; cat >&3; timeout 2 cat <&3' | grep -q PONG"
    )

with subtest("the firewall's rules are there once, however often it is reloaded"):
    machine.succeed("systemctl reload firewall", "systemctl reload firewall")
    count = machine.succeed("iptables -S INPUT | grep -c 'dport 6222'").strip()
    assert count == "2", f"expected 2 rules, found {count}"
