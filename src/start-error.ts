/** Why the process cannot start, when whoever runs it can mend it. Its message is shown alone, without a stack. */
export class StartError extends Error {
  override readonly name: string = "StartError";
}
