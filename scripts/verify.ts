/**
 * Everything that has to hold before a change lands, in one go: `bun run verify`.
 * Formatting, types, lint, unused code, then the tests; the first failure stops. Arguments go to bun test.
 * The tests get a temporary folder of their own, where nothing may be left: no file, and no process that has it for
 * its TMPDIR.
 */
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'

const LINT = ['-c', 'scripts/oxlint.json', '--type-aware', '--quiet', 'src', 'scripts', 'test']

const GRACE_MS = 5000

/** Arguments of bun; `--bun run` gives a package's program Bun where it asks for node. */
const checks: readonly (readonly string[])[] = [
  ['fmt', '--check'],
  ['check'],
  ['--bun', 'run', 'oxlint', ...LINT],
  ['--bun', 'run', 'knip', '--no-progress'],
]

for (const check of checks) {
  const code = run(check)
  if (code !== 0) process.exit(code)
}
process.exit(await runTests())

async function runTests(): Promise<number> {
  const folder = mkdtempSync(`${tmpdir()}/emon-tests-`)
  // Peers that give up being root pass through it to their own folders.
  chmodSync(folder, 0o711)
  try {
    const code = run(['test', '--parallel=2', ...Bun.argv.slice(2)], { ...Bun.env, TMPDIR: folder })
    const left = await leftIn(folder)
    if (code !== 0 || left.length === 0) return code
    console.error(
      `the tests left behind: ${left.join(', ')}; each has to end and remove what it starts and makes`,
    )
    return 1
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Files, and processes that do not end by themselves: who removes what a killed test leaves looks once a second. */
async function leftIn(folder: string): Promise<string[]> {
  const left = () => [...readdirSync(folder), ...processesWith(folder)]
  for (const untilMs = performance.now() + GRACE_MS; performance.now() < untilMs;) {
    if (left().length === 0) break
    await Bun.sleep(200)
  }
  return left()
}

/** The command lines of those who were started with `folder` for their TMPDIR and still run. */
function processesWith(folder: string): string[] {
  const commands: string[] = []
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue
    try {
      if (!readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`TMPDIR=${folder}\0`)) continue
      commands.push(`${pid} ${readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')}`)
    } catch {
      // It has ended since, or is another user's.
    }
  }
  return commands
}

/** Runs bun with these arguments; answers how it exited. */
function run(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>> = Bun.env,
): number {
  console.log(`› bun ${args.join(' ')}`)
  const { exitCode } = Bun.spawnSync([process.execPath, ...args], {
    stdio: ['ignore', 'inherit', 'inherit'],
    cwd: `${import.meta.dir}/..`,
    env,
  })
  return exitCode
}
