{
  description = "CIM: an agent host for NixOS machines and NATS leaf nodes, and Alchemist, its control plane";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      forEach = f: lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});

      # The modules work without the flake; here they get its package.
      withPackage =
        module:
        { lib, pkgs, ... }:
        {
          imports = [ module ];
          cim.package = lib.mkDefault self.packages.${pkgs.stdenv.hostPlatform.system}.cim;
        };

      machine =
        example:
        lib.nixosSystem {
          system = "x86_64-linux";
          modules = [
            self.nixosModules.default
            example
            ./nix/tests/bare-machine.nix
          ];
        };
    in
    {
      nixosModules = {
        core = withPackage ./nix/modules/core.nix;
        default = withPackage ./nix/modules;
      };

      overlays.default = final: _: { cim = (import ./nix/packages { pkgs = final; }).cim; };

      packages = forEach (pkgs: import ./nix/packages { inherit pkgs; });

      # The guide's machines, as it writes them, so that `.#cim-prod-001` exists.
      nixosConfigurations = {
        cim-prod-001 = machine ./examples/production.nix;
        cim-minimal = machine ./examples/minimal.nix;
        cim-performance = machine ./examples/high-performance.nix;
      };

      checks = forEach (
        pkgs:
        { inherit (self.packages.${pkgs.stdenv.hostPlatform.system}) cim; }
        // import ./nix/tests {
          inherit pkgs;
          module = self.nixosModules.default;
        }
        // lib.optionalAttrs (pkgs.stdenv.hostPlatform.system == "x86_64-linux") (
          lib.mapAttrs' (
            name: machine: lib.nameValuePair "machine-${name}" machine.config.environment.etc."nats/nats.conf".source
          ) self.nixosConfigurations
        )
      );

      devShells = forEach (pkgs: {
        default = pkgs.mkShell {
          packages = [
            pkgs.nodejs_24
            pkgs.nats-server
            pkgs.natscli
            pkgs.nixfmt-tree
          ];
        };
      });

      formatter = forEach (pkgs: pkgs.nixfmt-tree);
    };
}
