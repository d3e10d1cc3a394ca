# One file for each difference between the guide and nixpkgs; README.md has the table.
{
  imports = [
    ./acme.nix
    ./apparmor.nix
    ./fail2ban.nix
    ./firewall.nix
    ./grafana.nix
    ./prometheus.nix
  ];
}
