# What CIM itself declares. It adds options to services.nats and changes no other option of nixpkgs.
{
  imports = [
    ./instance.nix
    ./domains.nix
    ./trust.nix
    ./node-agent.nix
    ./registry.nix
    ./secrets.nix
    ./gpu.nix
    ./observability.nix
    ./backup.nix
    ./nats
  ];
}
