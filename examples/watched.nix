# Beside examples/hub.nix: the hub also scrapes the fleet, shows it in Grafana, wakes people, and keeps a snapshot for its backup.
{
  cim.observability = {
    enable = true;
    nodes = [ "cim-prod-001.internal:9090" ];
  };
  services.grafana.enable = true;

  cim.backup = {
    enable = true;
    borgJobs = [ "cim" ];
  };
  services.borgbackup.jobs.cim = {
    paths = [ "/var/lib/cim-backup/current" ];
    repo = "borg@backup.example.com:cim-hub";
    encryption = {
      mode = "repokey-blake2";
      passCommand = "cat /run/secrets/borg";
    };
    startAt = "daily";
  };
}
