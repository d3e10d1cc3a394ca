import nacl from 'tweetnacl';
import { using } from '../using.js';

export default using(async () => {
  const [key, nonce] = [new Uint8Array(32).fill(7), new Uint8Array(24).fill(1)];
  const box = nacl.secretbox(new TextEncoder().encode('hi'), nonce, key);
  const pair = nacl.sign.keyPair();
  const signature = nacl.sign.detached(box, pair.secretKey);
  return {
    box: [...box],
    open: new TextDecoder().decode(nacl.secretbox.open(box, nonce, key)),
    ok: nacl.sign.detached.verify(box, signature, pair.publicKey),
    random: nacl.randomBytes(8).length,
  };
});
