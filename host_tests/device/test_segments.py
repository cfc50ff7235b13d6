from kit import heap_locked
from thimble.core.segments import Segments


def test_every_segment_is_handed_out_once():
    pool = Segments(16, 5)
    taken = [pool.take() for _ in range(5)]
    assert sorted(taken) == [0, 1, 2, 3, 4]
    assert pool.free == 0 and pool.count == 5
    assert all(len(block) == 16 for block in pool.data)
    assert all(pool.next[index] == -1 for index in taken)


def test_a_pool_may_begin_with_fewer_blocks_than_it_may_have():
    pool = Segments(16, 5, 2)
    assert pool.count == pool.free == 2
    assert pool.regrow(5) == 3 and pool.free == 5


def test_an_empty_pool_says_so():
    pool = Segments(16, 1)
    assert pool.take() == 0
    assert pool.take() == -1 and pool.free == 0
    pool.give(0)
    assert pool.free == 1 and pool.take() == 0


def test_taking_and_giving_allocates_nothing():
    pool = Segments(16, 3)

    def work():
        for _ in range(10):
            a = pool.take()
            b = pool.take()
            pool.give(a)
            pool.give(b)

    heap_locked(work)
    assert pool.free == 3


def test_release_gives_free_segments_only():
    pool = Segments(16, 4)
    kept = pool.take()
    assert heap_locked(lambda: pool.release(2)) == 2
    assert pool.count == 2 and pool.free == 1
    assert pool.release(9) == 1
    assert pool.count == 1 and pool.free == 0 and pool.take() == -1
    assert sum(block is not None for block in pool.data) == 1
    assert pool.data[kept] is not None


def test_regrow_makes_released_segments_anew():
    pool = Segments(16, 4)
    assert pool.release(3) == 3
    assert pool.regrow(2) == 2
    assert pool.count == 3 and pool.free == 3
    assert pool.regrow(9) == 1
    assert pool.regrow(1) == 0
    assert sorted(pool.take() for _ in range(4)) == [0, 1, 2, 3]
    assert all(len(block) == 16 for block in pool.data)


def test_regrow_survives_a_heap_without_room():
    pool = Segments(16, 2)
    pool.release(2)
    pool.size = 1 << 28
    assert pool.regrow(2) == 0
    assert pool.count == 0 and pool.free == 0 and pool.take() == -1
    pool.size = 16
    assert pool.regrow(2) == 2 and pool.free == 2
