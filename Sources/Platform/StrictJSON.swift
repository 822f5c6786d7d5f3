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
  /// Null for nil.
  public init(_ value: Float?) { self = value.map { JSONValue($0) } ?? .null }
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
  public func text(pretty: Bool = false) -> String { String(decoding: utf8(pretty: pretty), as: UTF8.self) }

  /// The bytes of `text`.
  public func utf8(pretty: Bool = false) -> [UInt8] {
    var text: [UInt8] = []
    write(to: &text, pretty: pretty, indent: 0)
    return text
  }

  private func write(to text: inout [UInt8], pretty: Bool, indent: Int) {
    switch self {
    case .null: text += "null".utf8
    case .bool(let value): text += (value ? "true" : "false").utf8
    case .integer(let value): text += String(value).utf8
    case .number(let value): text += (value.isFinite ? value.description : "null").utf8
    case .string(let value): JSONValue.write(value, to: &text)
    case .array(let values):
      let onLines = pretty && values.contains { $0.array != nil || $0.object != nil }
      JSONValue.writeList(values, "[]", to: &text, onLines: onLines, spaced: pretty, indent: indent) {
        $0.write(to: &$1, pretty: pretty, indent: indent + 1)
      }
    case .object(let object):
      JSONValue.writeList(object.members, "{}", to: &text, onLines: pretty, spaced: pretty, indent: indent) {
        JSONValue.write($0.key, to: &$1)
        $1 += (pretty ? ": " : ":").utf8
        $0.value.write(to: &$1, pretty: pretty, indent: indent + 1)
      }
    }
  }

  private static func writeList<Element>(
    _ elements: [Element], _ brackets: String, to text: inout [UInt8], onLines: Bool, spaced: Bool,
    indent: Int, _ writeElement: (Element, inout [UInt8]) -> Void
  ) {
    text += brackets.utf8.prefix(1)
    for (index, element) in elements.enumerated() {
      if index > 0 { text += (spaced && !onLines ? ", " : ",").utf8 }
      if onLines { text += ("\n" + String(repeating: "  ", count: indent + 1)).utf8 }
      writeElement(element, &text)
    }
    if onLines && !elements.isEmpty { text += ("\n" + String(repeating: "  ", count: indent)).utf8 }
    text += brackets.utf8.suffix(1)
  }

  private static func write(_ string: String, to text: inout [UInt8]) {
    text.append(UInt8(ascii: "\""))
    defer { text.append(UInt8(ascii: "\"")) }
    // Nearly all texts stand as they are.
    let start = text.count
    text += string.utf8
    if text[start...].allSatisfy({ (0x20...0x7E).contains($0) && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") })
    {
      return
    }
    text.removeSubrange(start...)
    for scalar in string.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\"".utf8
      case "\\": text += "\\\\".utf8
      case "\n": text += "\\n".utf8
      case "\r": text += "\\r".utf8
      case "\t": text += "\\t".utf8
      case "\u{0}"..."\u{1F}", "\u{7F}"..."\u{9F}", "\u{2028}"..."\u{2029}":
        let digits = String(scalar.value, radix: 16)
        text += ("\\u" + String(repeating: "0", count: 4 - digits.count) + digits).utf8
      default:
        if scalar.isASCII { text.append(UInt8(scalar.value)) } else { text += String(scalar).utf8 }
      }
    }
  }
}
