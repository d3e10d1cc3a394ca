# Bad configurations and the words they must be refused with. `assertion`: the whole message; `error`: a part of what evaluation says,
# the same in nixpkgs' module system and in nix/offline. `warning`: the whole warning of a machine that evaluates.
let
  leaf = {
    cim.instance.id = "cim-test";
    cim.domains.graph.enable = true;
    services.nats.leafnode.remotes = [ { url = "nats://hub:7422"; } ];
  };
in
{
  typo-in-an-option = {
    modules = [ leaf { cim.instance.capabilites = [ "graph" ]; } ];
    error = "The option `cim.instance.capabilites' does not exist.";
  };
  id-of-the-wrong-form = {
    modules = [ { cim.instance.id = "CIM_1"; cim.domains.graph = { }; } ];
    error = "A definition for option `cim.instance.id' is not of type `an instance id (1 to 63 of a-z, 0-9 and \"-\", not at the ends)'";
  };
  id-hub = {
    modules = [ { cim.instance.id = "hub"; cim.domains.graph = { }; services.nats.leafnode.remotes = [ { url = "nats://hub:7422"; } ]; } ];
    assertion = "cim.instance.id: \"hub\" is reserved for the hub; choose another id, e.g. \"cim-hub-001\".";
  };
  persistence-unknown = {
    modules = [ leaf { cim.domains.graph.config.persistence = "rockdb"; } ];
    error = "A definition for option `cim.domains.graph.config.persistence' is not of type";
  };
  duration-unknown = {
    modules = [ leaf { cim.domains.workflow.config.timeout = "30 minutes"; } ];
    error = "A definition for option `cim.domains.workflow.config.timeout' is not of type";
  };
  most-agents-zero = {
    modules = [ leaf { cim.domains.agent.config.maxAgents = 0; } ];
    error = "A definition for option `cim.domains.agent.config.maxAgents' is not of type";
  };
  domain-is-a-word = {
    modules = [ leaf { cim.domains.billing = "yes"; } ];
    error = "A definition for option `cim.domains.billing' is not of type";
  };
  dependency-missing = {
    modules = [ leaf { cim.domains.billing.dependencies = [ "ledger" ]; } ];
    assertion = "cim.domains.billing.dependencies: \"ledger\" is not enabled; set cim.domains.ledger.enable = true or remove it from the list.";
  };
  domain-name-wrong = {
    modules = [ leaf { cim.domains."Billing Two" = { }; cim.instance.capabilities = [ ]; } ];
    assertion = "cim.domains.\"Billing Two\": a domain's name has 1 to 63 of a-z, 0-9 and \"-\", not at the ends; rename it.";
  };
  password-in-the-address = {
    modules = [ leaf { services.nats.leafnode.remotes = [ { url = "nats://cim-test:secret@hub:7422"; } ]; } ];
    assertion = "services.nats.leafnode.remotes.0.url holds a user or password, and the store is readable for everybody; use services.nats.leafnode.remotes.0.credentials, or services.nats.leafnode.remotes.0.user and services.nats.leafnode.remotes.0.passwordFile.";
  };
  address-without-scheme = {
    modules = [ leaf { services.nats.leafnode.remotes = [ { url = "hub:7422"; } ]; } ];
    error = "is not of type `an address such as \"nats://hub.example.com:7422\"'";
  };
  user-without-its-password = {
    modules = [ leaf { services.nats.leafnode.remotes = [ { url = "nats://hub:7422"; user = "cim-test"; } ]; } ];
    assertion = "services.nats.leafnode.remotes.0: user and passwordFile belong together; set both or neither.";
  };
  two-ways-to-log-in = {
    modules = [ leaf { services.nats.leafnode.remotes = [ { url = "nats://hub:7422"; user = "a"; passwordFile = "/run/a"; credentials = "/run/b"; } ]; } ];
    assertion = "services.nats.leafnode.remotes.0: credentials and user are two ways to log in; keep one.";
  };
  credentials-from-the-store = {
    modules = [ leaf { services.nats.leafnode.remotes = [ { url = "nats://hub:7422"; credentials = ./fixtures/domain-config.json; } ]; } ];
    error = "credentials' is not of type";
  };
  agent-secret-from-the-store = {
    modules = [ leaf { cim.nodeAgent.credentials.openai-key = "${builtins.storeDir}/aaaa-key"; } ];
    error = "A definition for option `cim.nodeAgent.credentials.openai-key' is not of type `an absolute path outside the Nix store, as a string'";
  };
  tls-without-certificate = {
    modules = [ leaf { services.nats.tls.enable = true; } ];
    assertion = "services.nats.tls.enable: services.nats.tls.cert and services.nats.tls.key are not set; set both, or services.nats.tls.acmeHost.";
  };
  verify-without-authority = {
    modules = [ leaf { services.nats.tls = { enable = true; cert = "/c"; key = "/k"; verify = true; }; } ];
    assertion = "services.nats.tls.verify: services.nats.tls.ca is not set, so no client could be verified; set it to the authority that signs client certificates.";
  };
  jetstream-off = {
    modules = [ leaf { services.nats.jetstream = false; } ];
    assertion = "services.nats.jetstream: the node-agent keeps events and state in the leaf's JetStream; set it to true or set cim.nodeAgent.enable = false.";
  };
  user-named-twice = {
    modules = [ leaf { services.nats.authorization.users = [ { user = "a"; } { user = "a"; } ]; } ];
    assertion = "services.nats.authorization.users: a user is named twice; nats-server would keep one of them. Names: a, a, cim-node-agent.";
  };
  user-without-a-name = {
    modules = [ leaf { services.nats.authorization.users = [ { permissions.publish = [ "a" ]; } ]; } ];
    assertion = "services.nats.authorization.users.0: set exactly one of user and nkey.";
  };
  hub-and-leaf-at-once = {
    modules = [ leaf { cim.registry.enable = true; } ];
    assertion = "cim.registry.enable: the hub and a leaf are two nats-servers with two JetStream domains; run the node-agent on another machine or set cim.nodeAgent.enable = false.";
  };
  hub-names-a-leaf-wrongly = {
    modules = [ { cim.instance.id = "cim-hub"; cim.registry = { enable = true; instances."*".passwordFile = "/run/p"; }; } ];
    assertion = "cim.registry.instances.\"*\": expected an instance id: 1 to 63 of a-z, 0-9 and \"-\", not at the ends, and not \"hub\"; use the leaf's cim.instance.id.";
  };
  half-a-client-certificate = {
    modules = [ leaf { cim.nodeAgent.tls.certFile = "/etc/nats/certs/agent.pem"; } ];
    assertion = "cim.nodeAgent.tls: certFile and keyFile belong together; set both or neither.";
  };
  publisher-key-wrong = {
    modules = [ leaf { cim.trust.publishers = [ { name = "acme"; key = "UAAA"; } ]; } ];
    error = "is not of type `a public key as \"alchemist keys show\" prints it";
  };
  memory-wrong = {
    modules = [ leaf { cim.nodeAgent.settings.sandbox.memory = "16 gigs"; } ];
    error = "A definition for option `cim.nodeAgent.settings.sandbox.memory' is not of type `null or a number of bytes such as \"4Gi\" or \"64GB\"'";
  };
  nobody-trusted = {
    modules = [ leaf ];
    warning = "cim.trust.publishers is empty: no bundle can run on this instance; add the key that \"alchemist keys show\" prints.";
  };
  user-without-a-secret = {
    modules = [ leaf { services.nats.authorization.users = [ { user = "cim-agent"; } ]; } ];
    warning = "services.nats.authorization.users: \"cim-agent\" has no secret, and nats-server would let anybody in under that name; a password is made in /var/lib/cim-secrets/nats-cim-agent. Set passwordFile or nkey to choose your own.";
  };
  hub-without-leaves = {
    modules = [ { cim.instance.id = "cim-hub"; cim.registry.enable = true; } ];
    warning = "cim.registry.instances is empty: no leaf can join this hub; name the instances, or run the hub in operator mode (alchemist hub init) and set cim.registry.ownLogin = false.";
  };
  hub-that-does-not-judge-leaves = {
    modules = [
      {
        cim.instance.id = "cim-hub";
        cim.registry = { enable = true; instances.cim-a.passwordFile = "/run/p"; };
        cim.nats.package = { type = "derivation"; name = "nats-server-2.12.6"; version = "2.12.6"; outPath = "${builtins.storeDir}/00000000000000000000000000000000-nats-server-2.12.6"; };
      }
    ];
    warning = "cim.nats.package is nats-server 2.12.6, and this hub lets leaves in: it does not judge what a leaf sends, so whoever takes a leaf's credential may send anything. Set cim.nats.package to a nats-server of 2.11.16, 2.12.7, 2.14.0 or newer, e.g. that of nixpkgs-unstable.";
  };
  too-many-operators-asked = {
    modules = [ leaf { cim.trust.operatorThreshold = 2; } ];
    assertion = "cim.trust.operatorThreshold: 2 of 0 operators can never sign; lower it or add operators.";
  };
  policy-subject = {
    modules = [ leaf { cim.nodeAgent.settings.policy.publish = [ "orders..x" ]; } ];
    error = "is not of type";
  };
  layer-unknown = {
    modules = [ leaf { cim.nodeAgent.settings.sandbox.requireLayers = [ "magic" ]; } ];
    error = "is not of type `one of \"permission-model\"";
  };
  nothing-to-scrape = {
    modules = [ { cim.observability.enable = true; } ];
    assertion = "cim.observability.enable: there is nothing to scrape; enable a domain or cim.registry here, or name machines in cim.observability.nodes.";
  };
  backup-of-nothing = {
    modules = [ { cim.backup.enable = true; } ];
    assertion = "cim.backup.enable: this machine keeps nothing of CIM; enable a domain or cim.registry, or set it to false.";
  };
  backup-job-unknown = {
    modules = [ leaf { cim.backup = { enable = true; borgJobs = [ "nightly" ]; }; } ];
    assertion = "cim.backup.borgJobs: there is no services.borgbackup.jobs.nightly; declare it or remove it from the list.";
  };
}
