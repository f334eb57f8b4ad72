/** Requests of one kind, of which only the newest may still show anything. */
export class Turns {
  private newest = 0;

  /**
   * Begin a request, which overtakes those before. What it gives back passes on the outcome of a
   * step, or undefined once a newer request has begun: the fault of an older one is nobody's news.
   */
  begin(): <T>(step: Promise<T>) => Promise<T | undefined> {
    const mine = ++this.newest;
    return async (step) => {
      try {
        const value = await step;
        return mine === this.newest ? value : undefined;
      } catch (error) {
        if (mine === this.newest) throw error;
        return undefined;
      }
    };
  }
}
