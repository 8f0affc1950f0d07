/** An authority of one's own for tests, and certificates that it signs. */
import { temporaryDir } from './peers.ts'

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']

export class Authority {
  readonly dir: string
  readonly remove: () => void
  /** What others trust. */
  readonly file: string
  private made = 0

  private constructor(dir: { path: string; remove(): void }) {
    this.dir = dir.path
    this.remove = () => dir.remove()
    this.file = `${dir.path}/ca.pem`
  }

  static async create(): Promise<Authority> {
    const authority = new Authority(temporaryDir())
    const { dir, file } = authority
    await Bun.$`openssl req -x509 ${KEY} -keyout ${dir}/ca.key -out ${file} -subj /CN=authority`.quiet()
    return authority
  }

  /** A certificate for `name`: its file, its key's, and one with both. */
  async issue(name: string): Promise<{ certificate: string; key: string; both: string }> {
    const { dir, file } = this
    const base = `${dir}/${this.made++}`
    const [key, request, certificate] = [`${base}.key`, `${base}.csr`, `${base}.crt`]
    await Bun.$`openssl req ${KEY} -keyout ${key} -out ${request} -subj /CN=${name}`.quiet()
    await Bun.write(`${base}.ext`, `subjectAltName=DNS:${name}`)
    await Bun.$`openssl x509 -req -in ${request} -CA ${file} -CAkey ${dir}/ca.key -CAcreateserial -days 2 -extfile ${base}.ext -out ${certificate}`.quiet()
    const texts = await Promise.all([certificate, key].map((path) => Bun.file(path).text()))
    await Bun.write(`${base}.pem`, texts.join(''))
    return { certificate, key, both: `${base}.pem` }
  }
}
