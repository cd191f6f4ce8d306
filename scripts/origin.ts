import '../src/origin/command/main.ts'
