/** The short form of all campaigns; `deno task test:long` is the long one. */
import { assertEquals } from "@std/assert";
import { inTemporaryFolder } from "../temporary-folder.ts";
import { CampaignLog } from "./campaign.ts";
import { runCampaigns, SHORT } from "./campaigns.ts";

Deno.test("damaged files, kills, signals, pairs in one folder and a full disk, a few of each", () =>
  inTemporaryFolder(async (dir) => {
    const log = await CampaignLog.open(dir, 3407);
    // Going on with a run takes seconds for each file, and has tests of its own.
    const wanted = ({ kind }: { kind: string }) => !/^resume|, asked$|a bomb$/.test(kind);
    await runCampaigns(log, SHORT, { wanted, together: true });
    console.log(log.summary());
    assertEquals(log.findings, []);
  }));
