# A machine as data: what the modules would put on disk and into systemd.
{ lib, pkgs }:

let
  # systemd's own words for a value; a list is the directive said several times.
  word =
    value:
    if value == true then
      "true"
    else if value == false then
      "false"
    else
      toString value;
  line = name: value: lib.concatMapStrings (one: "${name}=${word one}\n") (if builtins.isList value then value else [ value ]);
  section = name: entries: lib.optionalString (entries != { }) "[${name}]\n${lib.concatStrings (lib.mapAttrsToList line entries)}\n";
  joined = name: list: lib.optionalAttrs (list != [ ]) { ${name} = lib.concatStringsSep " " list; };

  head =
    unit:
    lib.optionalAttrs (unit.description != "") { Description = unit.description; }
    // joined "Documentation" unit.documentation
    // joined "Wants" unit.wants
    // joined "Requires" unit.requires
    // joined "After" unit.after
    // joined "Before" unit.before
    // joined "PartOf" unit.partOf
    // joined "BindsTo" unit.bindsTo
    // joined "Conflicts" unit.conflicts
    // unit.unitConfig;
  install = unit: joined "WantedBy" unit.wantedBy // joined "RequiredBy" unit.requiredBy;

  service =
    name: unit:
    section "Unit" (head unit)
    + section "Service" (
      lib.optionalAttrs (unit.path != [ ]) { Environment = "\"PATH=${lib.concatMapStringsSep ":" (package: "${package}/bin") unit.path}\""; }
      // lib.optionalAttrs (unit.script != "") { ExecStart = "${pkgs.writeShellScript "${name}-start" "set -e\n${unit.script}"}"; }
      // unit.serviceConfig
    )
    + section "Install" (install unit);
  slice = unit: section "Unit" (head unit) + section "Slice" unit.sliceConfig;

  textOf = entry: if entry.text != null then entry.text else entry.source.text or null;
in
config:
let
  etc = lib.filterAttrs (_: entry: entry.enable) config.environment.etc;
in
{
  failed = map (assertion: assertion.message) (lib.filter (assertion: !assertion.assertion) config.assertions);
  inherit (config) warnings;
  etc = lib.mapAttrs (_: textOf) etc;
  builds = lib.concatMap (entry: lib.optional (entry.source ? build) entry.source.build) (lib.attrValues etc);
  units =
    lib.mapAttrs' (name: unit: lib.nameValuePair "${name}.service" (service name unit)) config.systemd.services
    // lib.mapAttrs' (name: unit: lib.nameValuePair "${name}.slice" (slice unit)) config.systemd.slices;
  # What units start, as far as it is written here; nats' own joins them where it writes its secrets.
  scripts =
    lib.mapAttrs (_: unit: unit.script) (lib.filterAttrs (_: unit: unit.script != "") config.systemd.services)
    // lib.optionalAttrs config.services.nats.enable { nats-secrets = config.services.nats.secretScript.text; };
  # As nixpkgs turns startAt into a timer.
  timers = lib.mapAttrs (_: unit: unit.startAt) (lib.filterAttrs (_: unit: unit.startAt != [ ]) config.systemd.services);
  tmpfiles = config.systemd.tmpfiles.rules;
  users = lib.mapAttrs (_: user: {
    inherit (user)
      group
      extraGroups
      home
      isSystemUser
      ;
  }) config.users.users;
  groups = lib.attrNames config.users.groups;
  firewall = {
    inherit (config.networking.firewall) allowedTCPPorts extraCommands extraStopCommands;
  };
  prometheus = lib.optionalAttrs config.services.prometheus.enable {
    inherit (config.services.prometheus) port listenAddress scrapeConfigs;
    ruleFiles = map baseNameOf config.services.prometheus.ruleFiles;
    exporter = config.services.prometheus.exporters.nats;
  };
  grafana = lib.optionalAttrs config.services.grafana.enable {
    inherit (config.services.grafana.provision) enable;
    dashboards = config.services.grafana.provision.dashboards.settings.providers;
    datasources = config.services.grafana.provision.datasources.settings.datasources;
    secretKey = config.services.grafana.settings.security.secret_key;
  };
}
