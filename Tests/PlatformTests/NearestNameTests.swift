import Platform
import Testing

@Suite struct NearestNameTests {
  @Test(arguments: [
    ("Msas", "Mass"), ("Fractur", "Fracture"), ("pleural thickning", "Pleural_Thickening"), ("MAS", "Mass"),
    ("mass", "Mass"),
  ])
  func `a name that is nearly meant is found`(text: String, name: String) {
    #expect(nearestName(to: text, among: ["Fracture", "Mass", "Pleural_Thickening"]) == name)
  }

  @Test(arguments: ["", "Edema", "Lung Opacity", String(repeating: "a", count: 1_000_000)])
  func `what is near no name is not guessed`(text: String) {
    #expect(nearestName(to: text, among: ["Fracture", "Mass", "Pleural_Thickening"]) == nil)
  }

  @Test func `spelling is lower case without separators`() {
    #expect(nameKey(" Pleural_Thick-ening ") == "pleuralthickening")
  }
}
