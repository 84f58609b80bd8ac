package .test;
class a
{
    void f()
    {
        if( 1 ) {
    }
};
