import { serverAct } from "../../src/db/act.ts";

/** What a test does that calls a use case itself. */
export const TEST_ACT = serverAct("job/test", () => {});
