/* Undo and redo by snapshots: a state is plain data and never changed in place, so a step is one reference. */

const LIMIT = 500;

export class History {
  constructor(state) {
    this.past = [];
    this.present = state;
    this.future = [];
  }

  /** `amend` makes it one step with the one before: an arrow key that is held down is one move. */
  push(state, { amend = false } = {}) {
    if (!(amend && this.past.length)) {
      this.past.push(this.present);
      if (this.past.length > LIMIT) this.past.shift();
    }
    this.present = state;
    this.future = [];
  }

  undo() {
    if (!this.past.length) return false;
    this.future.push(this.present);
    this.present = this.past.pop();
    return true;
  }

  redo() {
    if (!this.future.length) return false;
    this.past.push(this.present);
    this.present = this.future.pop();
    return true;
  }

  get canUndo() {
    return this.past.length > 0;
  }

  get canRedo() {
    return this.future.length > 0;
  }
}
