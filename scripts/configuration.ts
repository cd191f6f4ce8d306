import '../src/cli/configuration/command.ts'
