# What must be in a backup of this machine, and a copy of it that fits together. The tool that carries it away is the operator's: the
# snapshot is a directory that services.borgbackup, restic or rsync can take.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  inherit (lib) mkOption types;
  cim = import ./types.nix { inherit lib; };
  cfg = config.cim.backup;
  agent = config.cim.nodeAgent;
  nats = config.services.nats;
  parts =
    lib.optional nats.enable {
      name = "nats";
      from = toString nats.dataDir;
      unit = "nats.service";
    }
    ++ lib.optional agent.enable {
      name = "node-agent";
      from = agent.settings.stateDirectory;
      unit = "cim-node-agent.service";
    }
    ++ lib.optional (config.cim.secrets.generate != [ ]) {
      name = "secrets";
      from = config.cim.secrets.directory;
      unit = null;
    };
  jobs = cfg.borgJobs;
in
{
  options.cim.backup = {
    enable = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = ''
        Whether to keep a snapshot of what this machine remembers (JetStream, last good state, generated secrets) that fits together.
        nats-server and the node-agent are stopped while it is copied: for seconds on a file system with reflinks.
      '';
    };
    directory = mkOption {
      type = types.strMatching "/[A-Za-z0-9._/-]+";
      default = "/var/lib/cim-backup";
      example = "/var/lib/cim-backup";
      description = "Where the newest snapshot lies, readable by root alone. Name it in the paths of your backup job.";
    };
    startAt = mkOption {
      type = types.nullOr types.str;
      default = "03:30";
      example = "hourly";
      description = "When to take it, as systemd.time(7) has it; null only when a job asks for it.";
    };
    borgJobs = mkOption {
      type = types.listOf (types.strMatching "[A-Za-z0-9_-]+");
      default = [ ];
      example = [ "cim" ];
      description = "Jobs of {option}`services.borgbackup.jobs` that take a fresh snapshot first.";
    };
  };

  config = lib.mkIf cfg.enable {
    systemd.services.cim-snapshot = {
      description = "Snapshot of CIM's state that fits together";
      path = [
        pkgs.coreutils
        config.systemd.package
      ];
      startAt = lib.mkIf (cfg.startAt != null) cfg.startAt;
      before = map (name: "borgbackup-job-${name}.service") jobs;
      requiredBy = map (name: "borgbackup-job-${name}.service") jobs;
      # Copies into `.new`, then swaps: a snapshot that was cut short is never taken for one.
      script = ''
        umask 077
        mkdir -p ${cfg.directory}
        rm -rf ${cfg.directory}/.new
        mkdir ${cfg.directory}/.new
        stopped=""
        begin() {
          for unit in $stopped; do systemctl start --no-block "$unit"; done
          stopped=""
        }
        trap begin EXIT
        ${lib.concatMapStrings (part: ''
          if [ -d ${part.from} ] && systemctl is-active --quiet ${part.unit}; then
            systemctl stop ${part.unit}
            stopped="${part.unit} $stopped"
          fi
        '') (lib.filter (part: part.unit != null) (lib.reverseList parts))}
        ${lib.concatMapStrings (part: ''
          if [ -d ${part.from} ]; then
            cp -a --reflink=auto ${part.from} ${cfg.directory}/.new/${part.name}
          fi
        '') parts}
        begin
        sync -f ${cfg.directory}/.new
        rm -rf ${cfg.directory}/old
        if [ -d ${cfg.directory}/current ]; then mv ${cfg.directory}/current ${cfg.directory}/old; fi
        mv ${cfg.directory}/.new ${cfg.directory}/current
        rm -rf ${cfg.directory}/old
      '';
      serviceConfig = {
        Type = "oneshot";
        TimeoutStartSec = "30min";
      };
    };

    assertions = [
      {
        assertion = parts != [ ];
        message = "cim.backup.enable: this machine keeps nothing of CIM; enable a domain or cim.registry, or set it to false.";
      }
    ]
    ++ map (name: {
      assertion = config.services.borgbackup.jobs ? ${name};
      message = "cim.backup.borgJobs: there is no services.borgbackup.jobs.${name}; declare it or remove it from the list.";
    }) jobs;
    warnings = lib.optional (jobs == [ ] && config.services.borgbackup.jobs != { })
      "cim.backup: no job takes the snapshot first; name it in cim.backup.borgJobs and ${cfg.directory}/current in its paths.";
  };
}
