/// A JSON document (RFC 8259), read more strictly than Foundation reads it.
///
/// Files from strangers are read with it: a key that stands twice in an object is an error (Foundation silently takes the
/// last), and so are malformed UTF-8, lone surrogates, a byte order mark, anything behind the document, numbers that no
/// `Double` holds, and more than `depthLimit` levels. Objects keep the order of their keys.
///
///     let settings: JSONValue = ["epochs": 100, "classes": ["Mass", "Hernia"], "note": nil]
///     settings.text()                  // {"epochs":100,"classes":["Mass","Hernia"],"note":null}
///     settings["epochs"]?.integer      // 100
public enum JSONValue: Equatable, Sendable {
  case null
  case bool(Bool)
  /// A number without fraction and exponent that fits in 64 bits.
  case integer(Int64)
  /// Any other number. Written as `null` where it is not finite, for JSON has no word for it.
  case number(Double)
  case string(String)
  case array([JSONValue])
  case object(JSONObject)

  /// Arrays and objects may stand this many levels inside each other.
  public static let depthLimit = 64
}

/// The members of a JSON object, in order, each key once.
public struct JSONObject: Equatable, Sendable {
  public private(set) var keys: [String] = []
  private var values: [String: JSONValue] = [:]

  public init() {}

  /// The value of a key; nil where there is none. Setting appends a new key, replaces the value of an old one in its
  /// place, and removes the key where the new value is nil.
  public subscript(key: String) -> JSONValue? {
    get { values[key] }
    set {
      if newValue == nil {
        keys.removeAll { $0 == key }
      } else if values[key] == nil {
        keys.append(key)
      }
      values[key] = newValue
    }
  }

  public var count: Int { keys.count }

  /// Keys and values, in order.
  public var members: [(key: String, value: JSONValue)] { keys.map { ($0, values[$0] ?? .null) } }
}

// MARK: - Reading values

extension JSONValue {
  public var bool: Bool? {
    if case .bool(let value) = self { value } else { nil }
  }

  /// A whole number.
  public var integer: Int? {
    if case .integer(let value) = self { Int(value) } else { nil }
  }

  /// Any number.
  public var double: Double? {
    switch self {
    case .integer(let value): Double(value)
    case .number(let value): value
    case .null, .bool, .string, .array, .object: nil
    }
  }

  public var string: String? {
    if case .string(let value) = self { value } else { nil }
  }

  public var array: [JSONValue]? {
    if case .array(let value) = self { value } else { nil }
  }

  public var object: JSONObject? {
    if case .object(let value) = self { value } else { nil }
  }

  public var isNull: Bool { self == .null }

  /// The value of a key, where this is an object that has it.
  public subscript(key: String) -> JSONValue? { object?[key] }

  /// An element, where this is an array that has it.
  public subscript(index: Int) -> JSONValue? {
    guard let array, array.indices.contains(index) else { return nil }
    return array[index]
  }
}

// MARK: - Making values

extension JSONValue {
  /// A float as the shortest decimal number that reads back as the same float: 0.485, not 0.48500001430511475.
  public init(_ value: Float) { self = Double(value.description).map(JSONValue.number) ?? .null }
  public init(_ value: Double) { self = .number(value) }
  public init(_ value: Int) { self = .integer(Int64(value)) }
  public init(_ value: Bool) { self = .bool(value) }
  public init(_ value: String) { self = .string(value) }
  public init(_ values: [String]) { self = .array(values.map(JSONValue.string)) }
  public init(_ values: [Int]) { self = .array(values.map { JSONValue($0) }) }
  public init(_ values: [Float]) { self = .array(values.map { JSONValue($0) }) }
  public init(_ values: [Double]) { self = .array(values.map { JSONValue($0) }) }
  /// The value, or `null` for nil.
  public init(_ value: String?) { self = value.map(JSONValue.string) ?? .null }
  /// The value, or `null` for nil.
  public init(_ value: Double?) { self = value.map(JSONValue.number) ?? .null }
  /// The value, or `null` for nil.
  public init(_ value: Int?) { self = value.map { JSONValue($0) } ?? .null }
}

extension JSONValue: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
  ExpressibleByFloatLiteral, ExpressibleByStringLiteral, ExpressibleByStringInterpolation, ExpressibleByArrayLiteral,
  ExpressibleByDictionaryLiteral
{
  public init(nilLiteral: ()) { self = .null }
  public init(booleanLiteral value: Bool) { self = .bool(value) }
  public init(integerLiteral value: Int64) { self = .integer(value) }
  public init(floatLiteral value: Double) { self = .number(value) }
  public init(stringLiteral value: String) { self = .string(value) }
  public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
  public init(dictionaryLiteral elements: (String, JSONValue)...) { self = .object(JSONObject(elements)) }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
  /// The members in this order; a key that comes again replaces the earlier value.
  public init(_ members: [(String, JSONValue)]) {
    for (key, value) in members { self[key] = value }
  }

  public init(dictionaryLiteral elements: (String, JSONValue)...) { self.init(elements) }
}

// MARK: - Writing

extension JSONValue {
  /// The document as text: the same value always gives the same bytes.
  ///
  /// Compact without `pretty`; with it two spaces a level, and arrays of plain values on one line. Doubles are written so
  /// that they read back equal. Control characters, of ASCII and of Latin 1, are escaped, so the text is safe to print.
  public func text(pretty: Bool = false) -> String {
    var text = ""
    write(to: &text, pretty: pretty, indent: 0)
    return text
  }

  private func write(to text: inout String, pretty: Bool, indent: Int) {
    switch self {
    case .null: text += "null"
    case .bool(let value): text += value ? "true" : "false"
    case .integer(let value): text += String(value)
    case .number(let value): text += value.isFinite ? value.description : "null"
    case .string(let value): JSONValue.write(value, to: &text)
    case .array(let values):
      let onLines = pretty && values.contains { $0.array != nil || $0.object != nil }
      JSONValue.writeList(values, ("[", "]"), to: &text, onLines: onLines, spaced: pretty, indent: indent) {
        $0.write(to: &$1, pretty: pretty, indent: indent + 1)
      }
    case .object(let object):
      JSONValue.writeList(object.members, ("{", "}"), to: &text, onLines: pretty, spaced: pretty, indent: indent) {
        JSONValue.write($0.key, to: &$1)
        $1 += pretty ? ": " : ":"
        $0.value.write(to: &$1, pretty: pretty, indent: indent + 1)
      }
    }
  }

  private static func writeList<Element>(
    _ elements: [Element], _ brackets: (String, String), to text: inout String, onLines: Bool, spaced: Bool,
    indent: Int, _ writeElement: (Element, inout String) -> Void
  ) {
    text += brackets.0
    for (index, element) in elements.enumerated() {
      if index > 0 { text += spaced && !onLines ? ", " : "," }
      if onLines { text += "\n" + String(repeating: "  ", count: indent + 1) }
      writeElement(element, &text)
    }
    if onLines && !elements.isEmpty { text += "\n" + String(repeating: "  ", count: indent) }
    text += brackets.1
  }

  private static func write(_ string: String, to text: inout String) {
    text += "\""
    for scalar in string.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\r": text += "\\r"
      case "\t": text += "\\t"
      case "\u{0}"..."\u{1F}", "\u{7F}"..."\u{9F}", "\u{2028}"..."\u{2029}":
        let digits = String(scalar.value, radix: 16)
        text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: text.unicodeScalars.append(scalar)
      }
    }
    text += "\""
  }
}

// MARK: - Parsing

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
      content += bytes[run..<offset]
      switch next {
      case UInt8(ascii: "\""):
        offset += 1
        guard let text = String(validating: content, as: UTF8.self) else {
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

  /// The four hexadecimal digits of `\uXXXX`.
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
