extension JSONValue {
  /// The one document that `bytes` (UTF-8) hold; `malformedJSON` with the offset of the first byte that is wrong.
  public static func parse(_ bytes: [UInt8]) throws(PlatformError) -> JSONValue {
    var parser = JSONParser(bytes: bytes)
    return try parser.document()
  }

  /// The one document that `text` holds.
  public static func parse(_ text: String) throws(PlatformError) -> JSONValue { try parse(Array(text.utf8)) }
}

private struct JSONParser {
  let bytes: [UInt8]
  var offset = 0

  init(bytes: [UInt8]) { self.bytes = bytes }

  /// The byte at `offset`; nil at the end.
  private var next: UInt8? { offset < bytes.count ? bytes[offset] : nil }

  private func malformed(_ reason: String, at place: Int? = nil) -> PlatformError {
    .malformedJSON(reason: reason, offset: place ?? offset)
  }

  mutating func document() throws(PlatformError) -> JSONValue {
    let value = try self.value(depth: 0)
    skipSpace()
    guard next == nil else { throw malformed("something stands behind the document") }
    return value
  }

  private mutating func skipSpace() {
    while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { offset += 1 }
  }

  private mutating func value(depth: Int) throws(PlatformError) -> JSONValue {
    skipSpace()
    switch next {
    case UInt8(ascii: "{"): return try object(depth: depth + 1)
    case UInt8(ascii: "["): return try array(depth: depth + 1)
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    case .some(let byte) where byte == UInt8(ascii: "-") || JSONParser.isDigit(byte): return try number()
    case nil: throw malformed("the document ends where a value should stand")
    default: throw malformed("expected a value")
    }
  }

  private mutating func word(_ text: String, _ value: JSONValue) throws(PlatformError) -> JSONValue {
    guard bytes[offset...].starts(with: text.utf8) else { throw malformed("expected a value") }
    offset += text.utf8.count
    return value
  }

  private mutating func enter(_ depth: Int) throws(PlatformError) {
    guard depth <= JSONValue.depthLimit else { throw malformed("more than \(JSONValue.depthLimit) levels") }
    offset += 1
    skipSpace()
  }

  /// Steps over a comma (true) or over the closing bracket (false).
  private mutating func continues(until closing: UInt8) throws(PlatformError) -> Bool {
    skipSpace()
    guard next == closing || next == UInt8(ascii: ",") else {
      throw malformed("expected ',' or '\(Character(UnicodeScalar(closing)))'")
    }
    let isComma = next == UInt8(ascii: ",")
    offset += 1
    return isComma
  }

  private mutating func array(depth: Int) throws(PlatformError) -> JSONValue {
    try enter(depth)
    var values: [JSONValue] = []
    if next == UInt8(ascii: "]") {
      offset += 1
      return .array(values)
    }
    repeat { values.append(try value(depth: depth)) } while try continues(until: UInt8(ascii: "]"))
    return .array(values)
  }

  private mutating func object(depth: Int) throws(PlatformError) -> JSONValue {
    try enter(depth)
    var object = JSONObject()
    if next == UInt8(ascii: "}") {
      offset += 1
      return .object(object)
    }
    repeat {
      skipSpace()
      let start = offset
      guard next == UInt8(ascii: "\"") else { throw malformed("expected a key in quotes") }
      let key = try string()
      guard object[key] == nil else { throw malformed("the key \"\(key.printable)\" stands twice", at: start) }
      skipSpace()
      guard next == UInt8(ascii: ":") else { throw malformed("expected ':'") }
      offset += 1
      object[key] = try value(depth: depth)
    } while try continues(until: UInt8(ascii: "}"))
    return .object(object)
  }

  private mutating func number() throws(PlatformError) -> JSONValue {
    let start = offset
    var isInteger = true
    if next == UInt8(ascii: "-") { offset += 1 }
    let firstDigit = next
    try digits()
    if firstDigit == UInt8(ascii: "0"), offset - start > (bytes[start] == UInt8(ascii: "-") ? 2 : 1) {
      throw malformed("a number begins with 0", at: start)
    }
    if next == UInt8(ascii: ".") {
      isInteger = false
      offset += 1
      try digits()
    }
    if next == UInt8(ascii: "e") || next == UInt8(ascii: "E") {
      isInteger = false
      offset += 1
      if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { offset += 1 }
      try digits()
    }
    let text = String(decoding: bytes[start..<offset], as: UTF8.self)
    // -0 is a Double: as an integer it would lose its sign.
    if isInteger, text != "-0", let value = Int64(text) { return .integer(value) }
    guard let value = Double(text), value.isFinite else {
      throw malformed("the number does not fit in 64 bits", at: start)
    }
    return .number(value)
  }

  private mutating func digits() throws(PlatformError) {
    let start = offset
    while let byte = next, JSONParser.isDigit(byte) { offset += 1 }
    guard offset > start else { throw malformed("expected a digit") }
  }

  private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

  private mutating func string() throws(PlatformError) -> String {
    let start = offset
    offset += 1
    var content: [UInt8] = []
    while true {
      let run = offset
      while let byte = next, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\"), byte >= 0x20 { offset += 1 }
      // Most have no escape: they are not copied twice.
      let isPlain = run == start + 1 && next == UInt8(ascii: "\"")
      if !isPlain { content += bytes[run..<offset] }
      switch next {
      case UInt8(ascii: "\""):
        offset += 1
        let text =
          isPlain
          ? String(validating: bytes[run..<offset - 1], as: UTF8.self) : String(validating: content, as: UTF8.self)
        guard let text else {
          throw malformed("a string is not UTF-8", at: start)
        }
        return text
      case UInt8(ascii: "\\"):
        content += Array(String(try escape()).utf8)
      case nil:
        throw malformed("a string has no end", at: start)
      default:
        throw malformed("a control character stands in a string")
      }
    }
  }

  private mutating func escape() throws(PlatformError) -> Character {
    let start = offset
    offset += 2
    switch offset <= bytes.count ? bytes[offset - 1] : nil {
    case UInt8(ascii: "\""): return "\""
    case UInt8(ascii: "\\"): return "\\"
    case UInt8(ascii: "/"): return "/"
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{C}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"):
      let unit = try codeUnit()
      if let scalar = Unicode.Scalar(unit) { return Character(scalar) }
      // A surrogate: its other half must follow.
      if unit < 0xDC00, bytes[offset...].starts(with: "\\u".utf8) {
        offset += 2
        let low = try codeUnit()
        if (0xDC00...0xDFFF).contains(low),
          let scalar = Unicode.Scalar(0x10000 + ((UInt32(unit) - 0xD800) << 10) + (UInt32(low) - 0xDC00))
        {
          return Character(scalar)
        }
      }
      throw malformed("half of a surrogate pair", at: start)
    default: throw malformed("an unknown escape", at: start)
    }
  }

  /// The four hexadecimal digits behind `\u`.
  private mutating func codeUnit() throws(PlatformError) -> UInt16 {
    var unit: UInt16 = 0
    for _ in 0..<4 {
      guard let byte = next, let digit = Character(UnicodeScalar(byte)).hexDigitValue else {
        throw malformed("expected four hexadecimal digits")
      }
      unit = unit << 4 | UInt16(digit)
      offset += 1
    }
    return unit
  }
}
