# Keys of cim.registry.settings that few set: TLS of its own, identities of instances, the transparency log.
# packages/contracts/src/schema/config.ts is the other half; a check keeps the two the same.
{
  lib,
  json,
  optional,
}:

let
  inherit (lib) types;
  cim = import ../types.nix { inherit lib; };
in
{
  http = {
    tls = {
      certFile = optional cim.secretFile null "/var/lib/acme/hub.example.com/fullchain.pem" "Certificate of the registry with its chain; read again when it changes. Set it with keyFile to serve TLS.";
      keyFile = optional cim.secretFile null "/var/lib/acme/hub.example.com/key.pem" "Key of the certificate.";
      clientCaFile = optional cim.secretFile null "/etc/cim/clients-ca.pem" "Authorities whose client certificates are believed by their subject.";
      clients = optional (types.listOf (types.attrsOf json.type)) null [
        {
          name = "ci";
          subject = "CN=ci,O=Acme";
          roles = [ "publisher" ];
        }
      ] "Client certificates and what they allow, by fingerprint or subject. Default: none are asked for.";
    };
    maxConnections = optional (types.ints.between 1 100000) null 4096 "Connections at a time; one more is closed at once.";
    bodyTimeout = optional cim.duration null "20s" "Longest wait for the body of a request that is no upload.";
  };
  identity = {
    account = optional (types.strMatching "A[A-Z2-7]{55}") null "AAQC5XWZ6UUUHR6CYBMRWHQVQ5PPKVDRWXQHK7NNRMT5HVZZNXK5DVYV" "Public key of the hub's account, as {command}`alchemist hub init` prints it. Set it to enrol instances.";
    signingSeedFile = optional cim.secretFile null "/run/secrets/cim-node-signing.seed" "Seed of the signing key of the role node.";
    validity = optional cim.duration null "90d" "How long a credential of an instance is good.";
    perMinute = optional types.ints.positive null 30 "Enrolments and renewals one address may ask for in a minute.";
  };
  transparency.seedFile = optional cim.secretFile null "/run/secrets/cim-log.seed" "Seed of the log key. When set, every publish, channel move and trust document goes to the transparency log.";
  failuresPerMinute = optional types.ints.positive null 30 "Wrong tokens one address may send in a minute; each is answered later than the last.";
}
