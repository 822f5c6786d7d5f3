import Foundation
import Testing

@testable import Platform

@Suite struct ReadAheadTests {
  private struct Stop: Error, Equatable { let at: Int }

  @Test func `items come in order, and are made on one other thread, no further ahead than there is room`() throws {
    let caller = Thread.current
    var consumed: [Int] = []
    let made = Counted()
    try readAhead(200, room: 30) { _ in
      10
    } produce: { (index) throws(Stop) in
      #expect(Thread.current != caller)
      made.value = index + 1
      return index
    } consume: { (item) throws(Stop) in
      #expect(Thread.current == caller)
      // Three that were taken with it, three that wait, and one that is being made.
      #expect(made.value <= item + 8)
      consumed.append(item)
    }
    #expect(consumed == Array(0..<200))
  }

  @Test func `the first error of either side ends it, with nothing under way`() {
    for failing in [0, 1, 7, 99] {
      let made = Counted()
      var consumed = 0
      #expect(throws: Stop(at: failing)) {
        try readAhead(100, room: 30) { _ in
          10
        } produce: { (index) throws(Stop) in
          if index == failing { throw Stop(at: index) }
          return index
        } consume: { (_) throws(Stop) in
          consumed += 1
        }
      }
      #expect(consumed == failing)
      #expect(throws: Stop(at: failing)) {
        try readAhead(100, room: 30) { _ in
          10
        } produce: { (index) throws(Stop) in
          made.value += 1
          return index
        } consume: { (item) throws(Stop) in
          if item == failing { throw Stop(at: item) }
        }
      }
      let after = made.value
      usleep(1000)
      #expect(made.value == after)
      #expect(after <= failing + 8)
    }
  }

  private final class Counted: @unchecked Sendable {
    private let lock = NSLock()
    private var count = 0

    var value: Int {
      get { lock.withLock { count } }
      set { lock.withLock { count = newValue } }
    }
  }
}
