/** Calls `task` with each item in order. At most twenty calls run at the same time. */
export async function inLanes<T>(items: T[], task: (item: T) => Promise<void>): Promise<void> {
  const left = items.values();
  const lane = async () => {
    for (const item of left) await task(item);
  };
  await Promise.all(Array.from({ length: 20 }, lane));
}
