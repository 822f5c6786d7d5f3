import Platform
import Testing

@Suite struct StrictJSONTests {
  @Test func `reads every kind of value and keeps the order of keys`() throws {
    let text = #" { "z" : [1, -2.5e3, true, false, null], "a":"\u00e9\ud83d\ude00\n\/" , "m":{} } "#
    let value = try JSONValue.parse(text)
    #expect(value == ["z": [1, -2500.0, true, false, nil], "a": "é😀\n/", "m": [:]])
    #expect(value.object?.keys == ["z", "a", "m"])
    #expect(value["z"]?[0]?.integer == 1)
    #expect(value["z"]?[0]?.double == 1)
    #expect(value["z"]?[9] == nil)
    #expect(value["a"]?.integer == nil)
  }

  @Test func `keeps integers exact up to 64 bits and reads wider ones as doubles`() throws {
    #expect(try JSONValue.parse("9223372036854775807") == .integer(.max))
    #expect(try JSONValue.parse("-9223372036854775808") == .integer(.min))
    #expect(try JSONValue.parse("9223372036854775808") == .number(9_223_372_036_854_775_808))
    #expect(try JSONValue.parse("-0").double?.sign == .minus)
  }

  @Test(arguments: [
    ("", 0), ("{", 1), ("[1,]", 3), (#"{"a":1,}"#, 7), (#"{"a":1,"a":2}"#, 7), ("[1] x", 4), ("01", 0), ("-01", 0),
    ("1.", 2), ("+1", 0), (".5", 0), ("1e", 2), ("1e999", 0), ("NaN", 0), ("tru", 0), ("'a'", 0), ("\"a", 0),
    ("\"\t\"", 1), (#""\x""#, 1), (#""\u12g4""#, 5), (#""\ud800""#, 1), (#""\ud800\u0041""#, 1), (#""\udc00""#, 1),
    (#""\"#, 1), ("[1 2]", 3), (#"{"a" 1}"#, 5), ("{1:2}", 1), ("\u{FEFF}{}", 0),
  ])
  func `refuses what is not JSON and says where`(text: String, offset: Int) {
    #expect {
      try JSONValue.parse(text)
    } throws: {
      guard case PlatformError.malformedJSON(_, let place) = $0 else { return false }
      return place == offset
    }
  }

  @Test func `refuses malformed UTF-8`() {
    #expect(throws: PlatformError.malformedJSON(reason: "a string is not UTF-8", offset: 0)) {
      try JSONValue.parse([0x22, 0xC0, 0x80, 0x22])
    }
  }

  @Test func `takes 64 levels and refuses the 65th`() throws {
    func nested(_ depth: Int) -> String {
      String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
    }
    _ = try JSONValue.parse(nested(64))
    #expect(throws: PlatformError.malformedJSON(reason: "more than 64 levels", offset: 64)) {
      try JSONValue.parse(nested(65))
    }
    #expect(throws: PlatformError.self) { try JSONValue.parse(String(repeating: "[", count: 1_000_000)) }
  }

  @Test func `writes compact text that reads back equal`() throws {
    let value: JSONValue = [
      "text": "quote \" slash \\ newline \n bell \u{7} delete \u{7F} é",
      "numbers": [0.1, 1e-300, .number(.leastNonzeroMagnitude), 1e16, -0.0, 7],
      "empty": [[], [:]],
    ]
    #expect(try JSONValue.parse(value.text()) == value)
    #expect(try JSONValue.parse(value.text(pretty: true)) == value)
    #expect(JSONValue.string("a\u{7}\u{9B}\n").text() == #""a\u0007\u009b\n""#)
    #expect(JSONValue.number(.infinity).text() == "null")
    #expect(JSONValue.number(.nan).text() == "null")
    #expect(JSONValue([Float(0.485), 1]).text() == "[0.485,1.0]")
  }

  @Test func `writes pretty text with plain arrays on one line`() {
    let value: JSONValue = ["classes": ["Mass", "Hernia"], "runs": [["epoch": 1]], "none": [], "empty": [:]]
    #expect(
      value.text(pretty: true) == """
        {
          "classes": ["Mass", "Hernia"],
          "runs": [
            {
              "epoch": 1
            }
          ],
          "none": [],
          "empty": {}
        }
        """)
  }

  @Test func `an object replaces in place and removes by nil`() {
    var object: JSONObject = ["a": 1, "b": 2]
    object["a"] = 3
    object["c"] = nil
    object["b"] = nil
    #expect(object == ["a": 3])
    #expect(object.keys == ["a"])
  }
}
