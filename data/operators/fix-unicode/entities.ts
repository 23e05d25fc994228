import { decodeHTML, decodeHTMLStrict } from "entities";

const ENTITY = /&#?[0-9A-Za-z]{1,24};/g;

/** Decodes HTML's character references that end in `;`, as ftfy does. */
export function decodeEntities(text: string): string {
  return text.replace(ENTITY, (entity) => {
    if (entity[1] === "#") return decodeNumeric(entity);
    const character = decodeHTMLStrict(entity);
    return character === entity ? decodeShouted(entity) : character;
  });
}

/** `&NTILDE;`, which HTML does not know, as the upper case of `&ntilde;`. */
function decodeShouted(entity: string): string {
  const lower = entity.toLowerCase();
  if (entity !== entity.toUpperCase() || decodeHTML(entity) !== entity) return entity;
  const character = decodeHTMLStrict(lower);
  return character === lower ? entity : character.toUpperCase();
}

/** The result of Python's `html.unescape`, unless it still has a `;`. */
function decodeNumeric(entity: string): string {
  const [, decimal, hexadecimal] = /^&#(?:([0-9]+)|[xX]([0-9a-fA-F]+));$/.exec(entity) ?? [];
  if (decimal === undefined && hexadecimal === undefined) return entity;
  const point = decimal === undefined ? parseInt(hexadecimal, 16) : parseInt(decimal, 10);
  const character = characterOf(point);
  return character === ";" ? entity : character;
}

function characterOf(point: number): string {
  if (point === 0 || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) return "\uFFFD";
  // HTML reads these as windows-1252; the platform's decoder is the one HTML means.
  if (point >= 0x80 && point <= 0x9F) return windows1252.decode(Uint8Array.of(point));
  return isInvalid(point) ? "" : String.fromCodePoint(point);
}

const windows1252 = new TextDecoder("windows-1252");

/** Control characters without a meaning, and noncharacters. */
function isInvalid(point: number): boolean {
  const control = point < 0x20 && ![0x09, 0x0A, 0x0C, 0x0D].includes(point);
  const noncharacter = (point >= 0xFDD0 && point <= 0xFDEF) || (point & 0xFFFE) === 0xFFFE;
  return control || point === 0x7F || noncharacter;
}
