import '../src/cli/cost/command.ts'
