/** The port of the page about runs, if it is free. */
export const WATCH_PORT = 8090;
