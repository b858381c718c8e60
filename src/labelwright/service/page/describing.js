/* What is said about objects beyond their shape: attributes, and labels of the image as a whole. */

import { focusAttribute } from "./attributes.js";
import { DeskEditing } from "./editing.js";
import { faultOf, makeWholeImage } from "./shapes.js";
import { text } from "./texts.js";

export class DeskDescribing extends DeskEditing {
  /** Sets an attribute of an object. What is typed into one field without a pause for anything else is one step. */
  describe(id, name, value, { typing = false } = {}) {
    const shape = this.shapes.find((one) => one.id === id);
    if (!shape || (shape.attributes[name] ?? "") === value) return;
    if (this.refuseLocked(id)) return void this.render();
    const attributes = this.inOrder(shape.label, { ...shape.attributes, [name]: value });
    const shapes = this.shapes.map((one) => (one === shape ? { ...shape, attributes, confidence: 1 } : one));
    const field = `${id}/${name}`;
    const amend = typing && this.typed?.field === field && this.typed.state === this.state;
    if (this.change({ ...this.state, shapes }, { amend })) this.typed = { field, state: this.state };
  }

  /** Attributes in the schema's order, without those that are empty. */
  inOrder(label, attributes) {
    const names = [...new Set([...this.labels.attributes(label).map(({ name }) => name), ...Object.keys(attributes)])];
    return Object.fromEntries(names.map((name) => [name, attributes[name]]).filter(([, value]) => value !== undefined && value !== ""));
  }

  toggleWholeImage(label) {
    const others = this.shapes.filter((shape) => shape.kind !== "image" || shape.label !== label);
    const taken = others.length < this.shapes.length;
    const shapes = taken ? others : [...others, makeWholeImage(label, this.labels.attributesFor(label))];
    const say = text(taken ? "whole.unset" : "whole.set", { label: this.labels.shown(label) });
    if (!this.change({ shapes, nothing: taken && this.state.nothing }, { say })) this.render();
  }

  /** Says why the service would refuse what is drawn, and leads there. True when there is nothing to refuse. */
  isComplete() {
    const faulty = this.shapes.find((shape) => this.faultOfShape(shape));
    if (faulty) {
      this.select(faulty.id);
      this.say(this.faultOfShape(faulty), "warn");
      return false;
    }
    const incomplete = this.shapes.find((shape) => this.labels.missing(shape));
    if (!incomplete) return true;
    const name = this.labels.missing(incomplete);
    this.select(incomplete.id);
    focusAttribute(incomplete.id, name);
    this.say(text("attribute.needed", { label: this.labels.shown(incomplete.label), attribute: name }), "warn");
    return false;
  }

  faultOfShape({ kind, label, points }) {
    if (!this.labels.allows(label)) return text("label.unknown", { label });
    if (!this.labels.takes(label, kind)) return text("label.not_drawn", { label: this.labels.shown(label) });
    return points && faultOf(points);
  }
}
