import '../src/cli/accuracy/command.ts'
