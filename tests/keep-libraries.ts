/** Flags of `dlopen` in glibc. */
const RTLD_NOW = 0x2, RTLD_NOLOAD = 0x4, RTLD_NODELETE = 0x1000;

/**
 * Keeps all native libraries in memory until the process ends. With the last Vulkan instance, the
 * loader unloads the driver. Deno's threads end later; where the driver has left something to be done
 * at a thread's end, the process would then die of a jump into memory that is gone, with all tests
 * passed. glibc only.
 */
export function keepLibraries(): void {
  if (!Deno.build.target.endsWith("linux-gnu")) return;
  const libc = Deno.dlopen("libc.so.6", {
    dl_iterate_phdr: { parameters: ["function", "pointer"], result: "i32" },
    dlopen: { parameters: ["buffer", "i32"], result: "pointer" },
  });
  const names: string[] = [];
  // Its first argument is a struct dl_phdr_info, whose second field is the library's path.
  const visit = { parameters: ["pointer", "usize", "pointer"], result: "i32" } as const;
  const visitor = new Deno.UnsafeCallback(visit, (info) => {
    const name = new Deno.UnsafePointerView(info!).getPointer(8);
    if (name) names.push(new Deno.UnsafePointerView(name).getCString());
    return 0;
  });
  libc.symbols.dl_iterate_phdr(visitor.pointer, null);
  visitor.close();
  for (const name of names.filter((name) => name.startsWith("/"))) {
    const path = new TextEncoder().encode(`${name}\0`);
    libc.symbols.dlopen(path, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
  }
  libc.close();
}
