import { base64url, CompactEncrypt, compactDecrypt, decodeJwt, exportJWK, generateKeyPair, jwtVerify, SignJWT } from 'jose';
import { using } from '../using.js';

export default using(async () => {
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
  const claims = new SignJWT({ scope: 'read' })
    .setProtectedHeader({ alg: 'ES256' })
    .setIssuer('cim')
    .setIssuedAt(1_800_000_000);
  const token = await claims.setExpirationTime(4_000_000_000).sign(privateKey);
  const { payload } = await jwtVerify(token, publicKey, { issuer: 'cim', currentDate: new Date(1_800_000_100_000) });
  const secret = new TextEncoder().encode('0123456789abcdef0123456789abcdef');
  const hs = await new SignJWT({ n: 1 }).setProtectedHeader({ alg: 'HS256' }).sign(secret);
  const jwe = await new CompactEncrypt(new TextEncoder().encode('hidden'))
    .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
    .encrypt(secret);
  const { plaintext } = await compactDecrypt(jwe, secret);
  const refused = await jwtVerify(`${token.slice(0, -6)}AAAAAA`, publicKey).catch((error) => error.code);
  return {
    payload,
    hs,
    claims: decodeJwt(hs),
    plain: new TextDecoder().decode(plaintext),
    refused,
    kty: (await exportJWK(publicKey)).kty,
    b64: base64url.encode('hi?'),
  };
});
