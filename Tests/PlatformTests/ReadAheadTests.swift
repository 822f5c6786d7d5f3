import Foundation
import Testing

@testable import Platform

@Suite struct ReadAheadTests {
  private struct Stop: Error, Equatable { let at: Int }

  @Test(arguments: [1, 3])
  func `items come in order, and are made on other threads, no further ahead than there is room`(threads: Int) throws {
    let caller = Thread.current
    var consumed: [Int] = []
    let made = Counted()
    try readAhead(200, threads: threads, room: 30) { _ in
      10
    } produce: { (index) throws(Stop) in
      #expect(Thread.current != caller)
      made.add(1)
      // The second of three is the last: it must be waited for.
      if threads > 1, index % 3 == 1 { usleep(200) }
      return index
    } consume: { (item) throws(Stop) in
      #expect(Thread.current == caller)
      // Those that were taken with it, as many that wait, and one of each thread.
      #expect(made.value <= item + 2 * (3 + threads) + threads)
      consumed.append(item)
    }
    #expect(consumed == Array(0..<200))
  }

  @Test func `the first error of either side ends it, with nothing under way`() {
    for failing in [0, 1, 7, 99] {
      let made = Counted()
      var consumed = 0
      #expect(throws: Stop(at: failing)) {
        try readAhead(100, threads: 2, room: 30) { _ in
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
        try readAhead(100, threads: 2, room: 30) { _ in
          10
        } produce: { (index) throws(Stop) in
          made.add(1)
          return index
        } consume: { (item) throws(Stop) in
          if item == failing { throw Stop(at: item) }
        }
      }
      let after = made.value
      usleep(1000)
      #expect(made.value == after)
      #expect(after <= failing + 12)
    }
  }

  private final class Counted: @unchecked Sendable {
    private let lock = NSLock()
    private var count = 0

    var value: Int { lock.withLock { count } }

    func add(_ number: Int) { lock.withLock { count += number } }
  }
}
