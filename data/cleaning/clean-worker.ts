/** The worker of {@linkcode clean}: reads and cleans the batches of records that it is sent. */
import { prepareCleaning } from "./clean-job.ts";
import { serve } from "../threads.ts";

serve(prepareCleaning);
