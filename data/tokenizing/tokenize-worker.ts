/** The worker of {@linkcode tokenize}: turns the batches of records that it is sent into tokens. */
import { prepareTokenizing } from "./tokenize-job.ts";
import { serve } from "../threads.ts";

serve(prepareTokenizing);
