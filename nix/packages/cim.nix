# The node-agent, the registry and alchemist in one derivation: Node 24, isolated-vm compiled from source.
{
  lib,
  buildNpmPackage,
  fetchNpmDeps,
  makeWrapper,
  nats-server,
  nodejs_24,
  python3,
  runCommand,
  systemd,
}:

let
  inherit (lib.importJSON ../../packages/node-agent/package.json) version config;
  nodejs = nodejs_24;

  # What the build reads and nothing else: a change in docs or nix builds nothing anew.
  src = lib.fileset.toSource {
    root = ../..;
    fileset = lib.fileset.unions [
      ../../.npmrc
      ../../docs/operating.md
      ../../examples
      ../../package.json
      ../../packages
      ../../scripts
      ../../tsconfig.base.json
      ../../tsconfig.json
    ];
  };

  # The committed lock names no registry; npm's own default is filled in where nothing else is configured.
  lock = runCommand "package-lock.json" { nativeBuildInputs = [ nodejs ]; } ''
    export HOME=$TMPDIR
    node ${./complete-lock.mjs} ${../../package-lock.json} "$(npm config get registry)" > "$out"
  '';

  locked = runCommand "cim-lock" { } ''
    mkdir "$out"
    cp ${lock} "$out/package-lock.json"
    cp ${../../package.json} "$out/package.json"
  '';
in
buildNpmPackage {
  pname = "cim";
  inherit version src nodejs;

  npmDeps = fetchNpmDeps {
    name = "cim-${version}-npm-deps";
    src = locked;
    # Goes with package-lock.json: `node scripts/nix-hash.mjs` writes it, nix-check sees when it is stale.
    hash = lib.head (lib.splitString "\n" (builtins.readFile ./npm-deps-hash));
  };
  postPatch = ''
    cp ${lock} package-lock.json
  '';

  nativeBuildInputs = [
    makeWrapper
    python3
  ];

  # npm's own install scripts stay off (.npmrc); the one package with native code is compiled here, against this Node's headers.
  preBuild = ''
    npm rebuild isolated-vm --offline --ignore-scripts=false --build-from-source
    rm -rf node_modules/isolated-vm/prebuilds
  '';

  # The project's own build asks for npm and a network; this is its second half.
  buildPhase = ''
    runHook preBuild
    node --input-type=module -e "
      const { build } = await import('./scripts/place/build.mjs');
      await build(process.execPath, () => {});
    "
    runHook postBuild
  '';

  # The workspace keeps its layout, so that npm's links between packages stay whole.
  installPhase = ''
    runHook preInstall
    npm prune --omit=dev --no-save --offline --ignore-scripts
    # npm's package of Node itself: this one has its own.
    rm -rf node_modules/node-linux-* node_modules/.bin
    # Links of workspaces that are not shipped.
    find node_modules -maxdepth 2 -xtype l -delete
    rm -rf node_modules/isolated-vm/build/Release/{.deps,obj.target}
    # Only tests use it.
    rm -rf packages/testkit
    library=$out/lib/cim
    mkdir -p "$library/packages" "$out/bin" "$out/share/doc/cim"
    cp package.json "$library/"
    cp -r examples "$library/"
    for package in packages/*; do
      [ -d "$package/dist" ] || continue
      mkdir -p "$library/$package"
      cp -r "$package/package.json" "$package/dist" "$library/$package/"
      [ ! -d "$package/bin" ] || cp -r "$package/bin" "$library/$package/"
      [ ! -d "$package/node_modules" ] || cp -r "$package/node_modules" "$library/$package/"
    done
    for link in node_modules/* node_modules/@*/*; do
      if [ -L "$link" ] && [ ! -d "$library/$(realpath --relative-to=. "$link")" ]; then rm "$link"; fi
    done
    cp -r node_modules "$library/"
    cp docs/operating.md "$out/share/doc/cim/"
    # isolated-vm and V8's start-up snapshot do not go together.
    makeWrapper ${nodejs}/bin/node "$out/bin/cim-fleet" \
      --add-flags "--no-node-snapshot $library/packages/fleet/dist/main.js" \
      --set-default CIM_NATS_SERVER ${nats-server}/bin/nats-server
    wrap() { # wrap <package> <program> <what else Node is told>
      makeWrapper ${nodejs}/bin/node "$out/bin/$2" \
        --add-flags "--no-node-snapshot $3 $library/packages/$1/bin/$2.mjs" \
        --suffix PATH : ${lib.makeBinPath [ systemd ]}
    }
    wrap node-agent cim-node-agent "${config.node}"
    wrap registry cim-registry ""
    wrap alchemist alchemist ""
    runHook postInstall
  '';

  doInstallCheck = true;
  installCheckPhase = ''
    runHook preInstallCheck
    env -i "$out/bin/cim-node-agent" --version
    env -i "$out/bin/cim-registry" --help > /dev/null
    env -i "$out/bin/cim-fleet" --help > /dev/null
    if [ -n "$(find "$out" -xtype l)" ]; then find "$out" -xtype l; exit 1; fi
    runHook postInstallCheck
  '';

  meta = {
    description = "Agent host for NixOS machines and NATS leaf nodes, with its registry and its command line";
    license = lib.licenses.asl20;
    mainProgram = "cim-fleet";
    platforms = [
      "x86_64-linux"
      "aarch64-linux"
    ];
  };
}
