from tests.naming import PRODUCT, share


def test_stand_in_words_are_less_than_one_percent_of_assigned_names():
    part, _, stand_ins = share(PRODUCT)
    assert part < 0.01, stand_ins
