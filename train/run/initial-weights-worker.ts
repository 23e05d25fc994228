/** The worker of `InitialWeights`: makes the first values of the parameters it is sent. */
import { serve } from "../../data/threads.ts";
import { initialWork } from "../../model/network/initialization.ts";

serve(initialWork);
