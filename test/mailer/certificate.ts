/** A certificate for localhost, signed by itself. */
export interface Certificate {
  readonly certFile: string
  readonly keyFile: string
}

export function makeCertificate(dir: string): Certificate {
  const [certFile, keyFile] = [`${dir}/cert.pem`, `${dir}/key.pem`]
  const request = `req -x509 -newkey rsa:2048 -nodes -days 2 -keyout ${keyFile} -out ${certFile}`
  const names = 'subjectAltName=DNS:localhost,IP:127.0.0.1'
  const words = [...request.split(' '), '-subj', '/CN=localhost', '-addext', names]
  const made = Bun.spawnSync(['openssl', ...words])
  if (made.exitCode !== 0) throw new Error(made.stderr.toString())
  return { certFile, keyFile }
}
