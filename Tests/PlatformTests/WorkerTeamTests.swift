import Platform
import Testing

@Suite struct WorkerTeamTests {
  @Test(arguments: [1, 2, 3, 5]) func `every part runs once, and a barrier is passed by all or by none`(threads: Int) {
    let team = WorkerTeam(threads: threads)
    #expect(team.threads == threads)
    for _ in 0..<200 {
      var counts = [Int](repeating: 0, count: threads)
      var sums = counts
      counts.withUnsafeMutableBufferPointer { counts in
        sums.withUnsafeMutableBufferPointer { sums in
          team.run { part in
            for round in 1...5 {
              counts[part] += 1
              team.barrier()
              if counts.allSatisfy({ $0 == round }) { sums[part] += 1 }
              team.barrier()
            }
          }
        }
      }
      #expect(sums.allSatisfy { $0 == 5 })
    }
  }

  @Test(arguments: [0, 1, 2, 7]) func `indices are shared out without gaps`(count: Int) {
    let team = WorkerTeam(threads: 3)
    var visits = [Int](repeating: 0, count: count)
    visits.withUnsafeMutableBufferPointer { visits in team.forEach(count) { visits[$0] += 1 } }
    #expect(visits.allSatisfy { $0 == 1 })
  }

  @Test func `huge memory is zero to its end`() {
    let memory = HugeMemory(bytes: 5 << 20)
    let bytes = UnsafeRawBufferPointer(start: memory.base, count: memory.bytes)
    #expect(Int(bitPattern: memory.base) % (2 << 20) == 0)
    #expect(bytes.allSatisfy { $0 == 0 })
  }
}
