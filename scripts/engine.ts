import '../src/cli/engine/command.ts'
