/**
 * Everything that has to hold before a change lands, in one go: `bun run verify`.
 * Formatting, types, lint, unused code, then the tests; the first failure stops. Arguments go to bun test.
 */
const LINT = ['-c', 'scripts/oxlint.json', '--type-aware', '--quiet', 'src', 'scripts', 'test']

/** Arguments of bun; `--bun run` gives a package's program Bun where it asks for node. */
const steps: readonly (readonly string[])[] = [
  ['fmt', '--check'],
  ['check'],
  ['--bun', 'run', 'oxlint', ...LINT],
  ['--bun', 'run', 'knip', '--no-progress'],
  ['test', '--parallel=2', ...Bun.argv.slice(2)],
]

for (const step of steps) {
  console.log(`› bun ${step.join(' ')}`)
  const { exitCode } = Bun.spawnSync([process.execPath, ...step], {
    stdio: ['ignore', 'inherit', 'inherit'],
    cwd: `${import.meta.dir}/..`,
  })
  if (exitCode !== 0) process.exit(exitCode)
}
